"""What a person should know before a broadcast goes out.

Remarks come from pure checks of the text, the audience and From's domain. What the checks of the audience need to know
comes from a survey, which looks at its people one by one. The survey of everyone is a draft's `Preflight`: it is kept
and taken further piece by piece.
"""
