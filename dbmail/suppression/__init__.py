"""Which addresses get no mail, and the ways in and out of that: links, pages, CSV."""
