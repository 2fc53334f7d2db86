def add_command(s): pass
