"""The collapse alarm: tests of audited votes whose false alarms over a whole run are bounded."""
