# libhmtnet.a: all objects in one, whose globals are the functions that libhmtnet.map lists, so that no inner name meets a
# host's (zip_open is also libzip's). They are hidden: a shared library that holds the archive does not export them again,
# and two that hold one each do not meet.
file(READ ${version_script} names)
string(REGEX MATCHALL "hmt_[a-z0-9_]+" names "${names}")
list(JOIN names "\n" lines)
set(names_file ${PROJECT_BINARY_DIR}/static/names)
file(GENERATE OUTPUT ${names_file} CONTENT "${lines}\n")
# References from a section that is dropped afterwards: the linker gives a name the narrowest visibility that it meets.
list(TRANSFORM names REPLACE "(.+)" ".hidden \\1\n.quad \\1" OUTPUT_VARIABLE lines)
list(JOIN lines "\n" lines)
set(hidden_file ${PROJECT_BINARY_DIR}/static/hidden.s)
file(GENERATE OUTPUT ${hidden_file} CONTENT
    ".section .hidden_names,\"\",@progbits\n${lines}\n.section .note.GNU-stack,\"\",@progbits\n")
set(one ${PROJECT_BINARY_DIR}/static/hmtnet.o)
add_custom_command(OUTPUT ${one}
    COMMAND ${CMAKE_C_COMPILER} -c ${hidden_file} -o ${one}.hidden
    COMMAND ${CMAKE_LINKER} -r -o ${one}.all ${one}.hidden $<TARGET_OBJECTS:hmtnet_objects>
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbols=${names_file} --remove-section=.hidden_names ${one}.all ${one}
    COMMAND ${CMAKE_COMMAND} -E rm ${one}.all ${one}.hidden
    DEPENDS hmtnet_objects $<TARGET_OBJECTS:hmtnet_objects> ${names_file} ${hidden_file} COMMAND_EXPAND_LISTS VERBATIM)
add_library(hmtnet_static STATIC ${one})
set_source_files_properties(${one} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
set_target_properties(hmtnet_static PROPERTIES LINKER_LANGUAGE C)
target_compile_definitions(hmtnet_static INTERFACE HMT_STATIC)
target_link_libraries(hmtnet_static INTERFACE $<BUILD_INTERFACE:oneDNN::oneDNN> $<INSTALL_INTERFACE:hmtnet::onednn>
                                              JPEG::JPEG PNG::PNG Threads::Threads ${CMAKE_DL_LIBS} m)
if(HMTNET_SANITIZE)
    target_link_options(hmtnet_static INTERFACE -fsanitize=${HMTNET_SANITIZE})
endif()
