"""The bundled networks and the contract that every network file must honour."""
