"""What a mail says: templates, their variables, and the text part of HTML."""
