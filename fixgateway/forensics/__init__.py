"""Statistics on allocation records and on imported blotters; nothing here touches the gateway."""
