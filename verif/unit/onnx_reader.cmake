vt_unit_test(NAME onnx_reader)
target_include_directories(onnx_reader_test PRIVATE ${CMAKE_SOURCE_DIR}/generator/src)
