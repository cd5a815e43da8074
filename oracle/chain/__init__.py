"""The chain as the rest of the package sees it. Nothing else imports web3."""
