"""A model at one site: adapting it, and the file that holds what was learned."""
