"""The seven send-to functions under the reference's import path: user -> [(address, name), ...]."""

from .audience.sendto import send_to_function

send_to_self = send_to_function("send_to_self")
send_to_guardian = send_to_function("send_to_guardian")
send_to_emergency = send_to_function("send_to_emergency")
send_to_self_and_guardian = send_to_function("send_to_self_and_guardian")
send_to_self_and_emergency = send_to_function("send_to_self_and_emergency")
send_to_guardian_and_emergency = send_to_function("send_to_guardian_and_emergency")
send_to_self_and_guardian_and_emergency = send_to_function("send_to_self_and_guardian_and_emergency")
