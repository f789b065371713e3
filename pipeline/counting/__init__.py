"""Counts people: zones and lines in, events, totals and heat maps out."""
