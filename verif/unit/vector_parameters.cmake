# Illegal parameters of the vector modules are refused with a message that reads itself.
function(vt_refuses top parameter value message)
  add_test(NAME ${top}_refuses_${parameter}_${value}
           COMMAND ${VERILATOR} --lint-only -Wall --default-language 1364-2005 ${vt_rtl_search}
                   -G${parameter}=${value} --top-module ${top} ${top}.v)
  set_tests_properties(${top}_refuses_${parameter}_${value}
                       PROPERTIES PASS_REGULAR_EXPRESSION "vt_error_${message}")
endfunction()
vt_refuses(vt_acc_to_fp32 ManBits 28 ManBits_must_be_29_to_48)
vt_refuses(vt_acc_to_fp32 ManBits 49 ManBits_must_be_29_to_48)
vt_refuses(vt_acc_to_fp32 ExpBits 11 ExpBits_must_be_2_to_10)
vt_refuses(vt_acc_to_fp32 ExpZero 1024 ExpZero_must_be_0_to_1023)
vt_refuses(vt_vector_lane ManBits 28 ManBits_must_be_29_to_48)
vt_refuses(vt_softmax MaxClasses 1 MaxClasses_must_be_2_to_65536)
vt_refuses(vt_softmax MaxClasses 65537 MaxClasses_must_be_2_to_65536)
