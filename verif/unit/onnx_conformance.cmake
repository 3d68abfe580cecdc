vt_unit_test(NAME onnx_conformance)
target_include_directories(onnx_conformance_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
target_compile_definitions(onnx_conformance_test PRIVATE VT_CACHE="${CMAKE_CURRENT_BINARY_DIR}/cache")
set_tests_properties(onnx_conformance PROPERTIES LABELS slow)  # a model of its own
