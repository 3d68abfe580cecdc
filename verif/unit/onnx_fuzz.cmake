vt_unit_test(NAME onnx_fuzz)
target_include_directories(onnx_fuzz_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
set_tests_properties(onnx_fuzz PROPERTIES TIMEOUT 120)
