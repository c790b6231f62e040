"""What `manage.py` finds of Tillpost."""
