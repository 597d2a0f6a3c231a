"""The chapter on scale: one network on several devices and in several processes."""
