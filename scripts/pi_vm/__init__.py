"""The emulated board: what scripts/pi-vm.sh runs."""
