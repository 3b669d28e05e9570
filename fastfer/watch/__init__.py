"""Many cameras in one process: one engine, fair shares, rows to files, MQTT and webhooks."""
