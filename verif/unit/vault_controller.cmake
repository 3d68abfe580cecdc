vt_block_test(NAME vault_controller TOP vt_vault_controller)
target_compile_definitions(vault_controller_test PRIVATE VT_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
