"""Bridges to other libraries. Import the one you use; nothing else of this package imports them."""
