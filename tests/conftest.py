"""What holds for every test."""

from request_gate import every_request_goes_through_the_gate

__all__ = ["every_request_goes_through_the_gate"]
