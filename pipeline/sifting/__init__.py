"""From score tables to the clear frames D_n: what is read, decided and written down."""
