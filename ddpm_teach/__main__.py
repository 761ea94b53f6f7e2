"""`python -m ddpm_teach` is `ddpm-teach`."""

from ddpm_teach.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
