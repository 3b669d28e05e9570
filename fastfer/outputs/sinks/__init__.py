"""Receivers of a run that does not end: files that rotate, an MQTT broker, a webhook."""
