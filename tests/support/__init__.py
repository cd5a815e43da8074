"""What several test packages share: a chain that can be hurt, and the play's usual scene."""
