vt_block_test(NAME vault_mux TOP vt_vault_mux PARAMS Readers=3 Writers=2)
