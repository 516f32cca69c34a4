"""The ops of the demo: plain scripts that need nothing but Python, in a container or as commands of this machine."""
