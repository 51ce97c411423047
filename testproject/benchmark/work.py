"""The work: 2.4 KB of HTML with 18 variables, and a text part beside it."""

SUBJECT = "{{ program.niceName }}: your timetable, {{ user.first_name }}"

_ROW = """    <tr><td style="padding: 4px">{{{{ program.niceName }}}}</td><td style="padding: 4px">Hour {0}</td>
    <td style="padding: 4px 8px">{{{{ user.first_name }}}} goes to room {0}00 on the second floor</td></tr>
"""
HTML = (
    """<html>
<body style="font-family: sans-serif; font-size: 16px; color: #222222; background: #ffffff">
  <h1>Welcome to {{ program.niceName }}!</h1>
  <p>Dear {{ user.first_name }} {{ user.last_name }},</p>
  <p>thank you for registering as {{ user.username }}. We will write to {{ user.email }} when anything changes.
  Classes start on {{ program.startdate }}; please be there twenty minutes early, so that everybody finds a seat.</p>
  <p>This is your timetable for the day. Bring it along, printed or on your phone:</p>
  <table>
"""
    + "".join(_ROW.format(n) for n in range(1, 7))
    + """  </table>
  <p>Lunch is at noon in the great hall. <a href="https://example.org/lunch">Tell us what you eat</a>, and if there
  is anything that you must not eat. Guardians are welcome at the closing session in the evening.</p>
  <p>See you soon, and bring a friend if you like: there are places left in most of the classes.</p>
  <p>Questions? Write to {{ program.director_email }}.</p>
</body>
</html>
"""
)
TEXT = """Welcome to {{ program.niceName }}!

Dear {{ user.first_name }} {{ user.last_name }},

thank you for registering as {{ user.username }}. We will write to {{ user.email }} when anything changes.
Classes start on {{ program.startdate }}; please be there twenty minutes early, so that everybody finds a seat.

Questions? Write to {{ program.director_email }}.
"""
