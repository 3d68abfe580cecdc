# Illegal parameters of the vector modules are refused with a message that reads itself.
vt_refuses(vt_acc_to_fp32 ManBits 28 ManBits_must_be_29_to_48)
vt_refuses(vt_acc_to_fp32 ManBits 49 ManBits_must_be_29_to_48)
vt_refuses(vt_acc_to_fp32 ExpBits 11 ExpBits_must_be_2_to_10)
vt_refuses(vt_acc_to_fp32 ExpZero 1024 ExpZero_must_be_0_to_1023)
vt_refuses(vt_vector_lane ManBits 28 ManBits_must_be_29_to_48)
vt_refuses(vt_softmax MaxClasses 1 MaxClasses_must_be_2_to_65536)
vt_refuses(vt_softmax MaxClasses 65537 MaxClasses_must_be_2_to_65536)
