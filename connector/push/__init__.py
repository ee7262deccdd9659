"""Writing back: rules → plan → apply → receipts → undo. Off until the admin turns it on.

``plan`` only reads and needs the standard library alone; ``apply`` and ``undo`` bring the adapters along when called.
"""

from connector.push.diff import Plan, plan
from connector.push.restore import undo
from connector.push.run import Report, apply

__all__ = ["Plan", "Report", "apply", "plan", "undo"]
