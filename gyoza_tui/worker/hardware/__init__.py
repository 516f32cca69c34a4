"""What this machine has and uses: psutil and NVML. Importing detects nothing."""
