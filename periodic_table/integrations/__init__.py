"""Bridges to other libraries. Each is imported only by those who use that library."""
