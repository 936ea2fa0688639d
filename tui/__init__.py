"""The application: command line, screens, and the services behind them."""
