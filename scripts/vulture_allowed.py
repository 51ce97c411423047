"""Names that vulture sees no use of, and who uses them. Read by vulture alone; patterns are in pyproject.toml."""

# Django calls these, or reads them
_.add_view  # ModelAdmin
_.get_changelist
_.get_search_fields
_.lookup_allowed
_.save_model
_.formatter_class  # argparse
_.compile_filter  # the template engine
_.compile_nodelist
_.default_builtins
_.find_filter
_.get_template_builtins
_.invalid_block_tag
_._resolve_lookup
_.child_nodelists
_.__class__

# Other libraries do
_.redirect_request  # urllib
_.getreply  # smtplib
_.line_length_limit  # aiosmtpd
_.case_sensitive  # re2's options
_.log_errors
__getattr__  # Python, for a name that a module does not have
_.unicode_snob  # html2text
_.ignore_emphasis
_.ignore_tables
_.protect_links
_.tag_callback
_.entity_char

# Commands call one of these by the word that was given
_._approve
_._export
_._import
_._reject
_._replay
_._show

# Columns of the admin's lists, and what templates show
_.event_badge
_.state_badge
_.for_good
_.mails_made
_.posters
_.subject_line
_.can_undo
_.got_it
_.level_word
_.locked
_.state_word
_.explanations

# Fields and relations that are asked for by their column, or by whoever writes a query
_.attempt_set
_.claimed_until
_.emaillist_id
_.emergency_keys
_.forward_set
_.guardian_keys
_.messagevars_set
_.moderated_at
_.preflight
_.preflightpiece_set
_.priority_level
_.self_keys
_.sent_by
_.sha1_hash
_.target

# Values of choices that are stored and compared as text
_.ANYONE
_.AUTORESPONDED
_.MEMBERS
_.REGISTERED
_.STAFF

# Names that host projects use
_.createVar
_.expireUnsentEmails
_.getContext
_.getFilterFromID
_.getFilterFromQ
_.get_sendto_fn_callable
_.is_sendto_fn_name_choice
_.parseSmartText
_.set_Q
_.createRequest
_.process_messages
_.send_to_emergency
_.send_to_guardian
_.send_to_guardian_and_emergency
_.send_to_self
_.send_to_self_and_emergency
_.send_to_self_and_guardian
_.send_to_self_and_guardian_and_emergency
