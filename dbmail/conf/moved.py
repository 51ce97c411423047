"""Names that settings had, and what has become of them: whoever still uses one is told the new one."""

#: Old key -> where the same value stands now.
MOVED: dict[str, tuple[str, str]] = {
    "RETRIES": ("RETRY", "TRIES"),
    "RETRY_WAIT": ("RETRY", "WAIT"),
    "CANARY": ("BREAKER", "CANARY"),
    "CANARY_WAIT": ("BREAKER", "CANARY_WAIT"),
    "RENDER_MAX_SIZE": ("TEXT_LIMITS", "CHARACTERS"),
    "RENDER_MAX_SECONDS": ("TEXT_LIMITS", "SECONDS"),
    "APPROVAL": ("LARGE_AUDIENCE", "APPROVAL"),
    "HARD_BOUNCE_REST": ("BOUNCE_REST", "HARD"),
    "SOFT_BOUNCE_REST": ("BOUNCE_REST", "SOFT"),
    "SOFT_BOUNCES": ("BOUNCE_REST", "SOFT_BOUNCES"),
    "SOFT_BOUNCE_WINDOW": ("BOUNCE_REST", "SOFT_WITHIN"),
    "DKIM_SELECTORS": ("DNS", "DKIM_SELECTORS"),
    "RESOLVERS": ("DNS", "RESOLVERS"),
    "SENDS_FROM": ("DNS", "SENDS_FROM"),
    "AUTHSERV_IDS": ("INCOMING", "AUTHSERV_IDS"),
    "INCOMING_MAX_SIZE": ("INCOMING", "MAX_SIZE"),
    "INCOMING_MAX_RECIPIENTS": ("INCOMING", "MAX_RECIPIENTS"),
    "INCOMING_NOTICES": ("INCOMING", "NOTICES"),
    "INCOMING_SEND_SECONDS": ("INCOMING", "SEND_SECONDS"),
    "INCOMING_KEEP": ("INCOMING", "KEEP"),
}

#: Old keys whose values nobody had a reason to change. They are constants now, beside the code that they bound.
GONE = frozenset(["BATCH_SIZE", "CHUNK_SIZE", "INCOMING_MAX_RECEIVED", "WEBHOOK_TOLERANCE"])
