"""What runs inside the sandbox: standard library only, imported as `guest` there. Imports nothing here."""
