#!/bin/sh
# What the mail server runs. Only what mailgate.py means for the server passes; all else becomes 75, "try again":
# an exception (1), a missing interpreter (126, 127), no memory (137), a crash (139). To Exim and Postfix most
# of those are permanent, and the mail would bounce.
#   mailgate.sh [arguments of mailgate.py]      MAILGATE_PYTHON names the interpreter; python3 otherwise
trap 'exit 75' HUP INT TERM
"${MAILGATE_PYTHON:-python3}" "${0%/*}/mailgate.py" "$@" >/dev/null 2>&1
code=$?
case $code in
    0 | 65 | 67 | 69 | 77) exit "$code" ;;
    *) exit 75 ;;
esac
