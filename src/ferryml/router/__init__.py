"""The local router: authorises, weighs, limits and forwards predictions."""
