"""The commands of `tillpost`, one file each."""
