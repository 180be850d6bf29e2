"""The commands, one module each, named as a person types them."""
