vt_unit_test(NAME readme)
target_compile_definitions(readme_test PRIVATE VT_PROGRAM="$<TARGET_FILE:vaultrain>")
add_dependencies(readme_test vaultrain)
