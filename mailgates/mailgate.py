#!/usr/bin/env python3
"""Hands one message from the mail server to dbmail: the message on stdin, the envelope in the environment.

    LOCAL_PART, DOMAIN, SENDER, RECIPIENT, MESSAGE_ID    as Exim's pipe transport sets them; or by arguments
    mailgate.py [--project DIR] [--settings MODULE] [--python PATH] [--log FILE] [--seconds N]
    mailgate.py --explain ADDRESS [< message]            says what would happen; sends and stores nothing

Ends with a sysexits code and prints nothing: mail servers send to strangers what a script prints. Whatever goes
wrong gives 75, so that the server keeps the message and tries again. Errors go to --log, else to syslog.
"""

import os
import sys

EX_TEMPFAIL = 75
# Beyond Postfix's and Exim's patience mail bounces; below it is ours.
SECONDS = 50
_ENVELOPE = ("LOCAL_PART", "LOCAL_PART_PREFIX", "LOCAL_PART_SUFFIX", "DOMAIN", "SENDER", "RECIPIENT", "MESSAGE_ID")


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if not options.explain:
        silence()
    watch(options.seconds)
    use_interpreter(options, arguments)
    project = options.project or project_of(os.path.dirname(os.path.realpath(__file__)))
    sys.path.insert(0, project)
    os.environ["DJANGO_SETTINGS_MODULE"] = options.settings or settings_of(project)

    import django

    django.setup()
    log_to(options.log)
    from dbmail.incoming import intake

    environment = {name: os.environb.get(name.encode()) for name in _ENVELOPE}
    for name in ("LOCAL_PART", "DOMAIN", "SENDER", "RECIPIENT", "MESSAGE_ID"):
        given = getattr(options, name.lower())
        if given is not None:
            environment[name] = os.fsencode(given)
    if options.explain:
        raw = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        print(intake.explain(options.explain, environment, raw))
        return 0
    return intake.take(environment, *intake.read_message(sys.stdin.buffer))


def parse(arguments: list[str]):  # type: ignore[no-untyped-def]
    import argparse

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", help="directory that holds the Django project; found by its manage.py")
    parser.add_argument("--settings", help="settings module; else DJANGO_SETTINGS_MODULE, else what manage.py says")
    parser.add_argument("--python", help="interpreter; else this one, or the project's .venv, venv or env")
    parser.add_argument("--log", help="file that errors are written to; else syslog")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="give up after so many seconds, with 75")
    parser.add_argument("--explain", metavar="ADDRESS", help="say what would be done with mail for ADDRESS")
    for name in ("local-part", "domain", "sender", "recipient", "message-id"):
        parser.add_argument(f"--{name}", help="in place of the variable of that name")
    return parser.parse_args(arguments)


def silence() -> None:
    """Nothing that anybody prints from here on reaches the mail server."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def watch(seconds: float) -> None:
    """End with 75 when it takes too long, or when somebody wants us to end (Exim's child ignores SIGTERM)."""
    import signal
    import threading

    signal.signal(signal.SIGTERM, lambda *_: os._exit(EX_TEMPFAIL))
    # A thread, since a signal waits for a database driver that waits for its server.
    alarm = threading.Timer(seconds, lambda: os._exit(EX_TEMPFAIL))
    alarm.daemon = True
    alarm.start()


def use_interpreter(options, arguments: list[str]) -> None:  # type: ignore[no-untyped-def]
    """Start again under --python, or under the project's virtual environment where this is none."""
    is_chosen = sys.prefix != sys.base_prefix and not options.python
    if os.environ.pop("DBMAIL_MAILGATE_RESTARTED", None) or is_chosen:
        return
    project = options.project or project_of(os.path.dirname(os.path.realpath(__file__)))
    candidates = [os.path.join(project, name, "bin", "python") for name in (".venv", "venv", "env")]
    wanted = options.python or next((path for path in candidates if os.access(path, os.X_OK)), None)
    if wanted is None or os.path.abspath(wanted) == os.path.abspath(sys.executable):
        return
    os.environ["DBMAIL_MAILGATE_RESTARTED"] = "1"
    os.execv(wanted, [wanted, os.path.abspath(__file__), *arguments])  # noqa: S606  (no shell is the point)


def project_of(directory: str) -> str:
    """The nearest directory at or above `directory` that holds a manage.py."""
    above = directory
    while not os.path.exists(os.path.join(above, "manage.py")):
        above, before = os.path.dirname(above), above
        if above == before:
            return os.path.dirname(directory)
    return above


def settings_of(project: str) -> str:
    """DJANGO_SETTINGS_MODULE, or the module that the project's manage.py names."""
    import re

    named = os.environ.get("DJANGO_SETTINGS_MODULE")
    if named:
        return named
    with open(os.path.join(project, "manage.py"), encoding="utf-8") as file:
        found = re.search(r"""["']DJANGO_SETTINGS_MODULE["']\s*[,\]=\s]+\s*["']([\w.]+)["']""", file.read())
    if not found:
        raise RuntimeError(f"No settings module is named in {project}/manage.py; give --settings.")
    return found.group(1)


def log_to(path: str | None) -> None:
    """dbmail's warnings and errors: to the file, or to syslog where the project does not log them itself."""
    import logging

    logger = logging.getLogger("dbmail")
    if path:
        handler: logging.Handler = logging.FileHandler(path)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        logger.addHandler(handler)
    elif not logger.hasHandlers() and os.path.exists("/dev/log"):
        from logging.handlers import SysLogHandler

        handler = SysLogHandler("/dev/log", SysLogHandler.LOG_MAIL)
        handler.setFormatter(logging.Formatter("dbmail-mailgate[%(process)d]: %(message)s"))
        logger.addHandler(handler)


def report(arguments: list[str]) -> None:
    """The traceback of what ended us before there was a log, as far as anything can be written at all."""
    import contextlib
    import traceback

    text = traceback.format_exc()
    with contextlib.suppress(Exception):
        if "--log" in arguments[:-1]:
            with open(arguments[arguments.index("--log") + 1], "a", encoding="utf-8") as file:
                file.write(text)
        else:
            import syslog

            syslog.openlog("dbmail-mailgate", syslog.LOG_PID, syslog.LOG_MAIL)
            for line in text.splitlines():
                syslog.syslog(syslog.LOG_ERR, line)
    if "--explain" in arguments:
        print(text, file=sys.stderr)


if __name__ == "__main__":
    given = sys.argv[1:]
    try:
        code = main(given)
    except SystemExit as stop:  # argparse: wrong arguments are the administrator's mistake, not the sender's
        code = 0 if stop.code in (0, None) else EX_TEMPFAIL
    except BaseException:  # the boundary: a bug, no memory, no settings; the server has the message still
        report(given)
        code = EX_TEMPFAIL
    sys.stdout.flush()
    os._exit(code)  # no clean-up that could fail or change the code
