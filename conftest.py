"""What holds for all tests: signals are as a terminal has them.

A run in the background of a script inherits that SIGINT and SIGQUIT are ignored, and would
hand that on to every program that it starts.
"""

import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)
