# Where programs find the library, and the library oneDNN, without a path of this machine.
#
#     bin/hmtnet-...             RUNPATH $ORIGIN/../lib
#     lib/libhmtnet.so.0.2       RUNPATH $ORIGIN/hmtnet
#     lib/hmtnet/libdnnl.so.3    oneDNN's copy, where it is no system library; libhmtnet_NAME.so, modules
#
# oneDNN has a folder of its own, because in lib/ itself it would replace another program's oneDNN.
# The build tree has the same RUNPATHs and links in the places they name: CMake fills RUNPATHs that are to be changed at
# installation up with ":", and an empty entry means the current folder, from which anybody's library would be loaded.
set(HMTNET_BUNDLE_ONEDNN AUTO CACHE STRING "Install oneDNN's library, too: AUTO (if it is not the system's), ON or OFF")
set_property(CACHE HMTNET_BUNDLE_ONEDNN PROPERTY STRINGS AUTO ON OFF)

file(REAL_PATH "${ONEDNN_LIBRARY}" onednn_file)
string(REGEX MATCH "^[0-9]+" onednn_major "${oneDNN_VERSION}")
set(onednn_soname libdnnl.so.${onednn_major})
if(HMTNET_BUNDLE_ONEDNN STREQUAL "AUTO")
    set(bundle_onednn ON)
    if(onednn_file MATCHES "^(/usr|/usr/local)?/lib(32|64|x32)?/")
        set(bundle_onednn OFF)
    endif()
elseif(HMTNET_BUNDLE_ONEDNN MATCHES "^(ON|OFF)$")
    set(bundle_onednn ${HMTNET_BUNDLE_ONEDNN})
else()
    message(FATAL_ERROR "HMTNET_BUNDLE_ONEDNN is \"${HMTNET_BUNDLE_ONEDNN}\", not AUTO, ON or OFF")
endif()

if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" OR IS_ABSOLUTE "${CMAKE_INSTALL_BINDIR}")
    set(bin_to_lib "")
else()
    file(RELATIVE_PATH bin_to_lib /prefix/${CMAKE_INSTALL_BINDIR} /prefix/${CMAKE_INSTALL_LIBDIR})
endif()

# The RUNPATH of the shared library.
function(hmtnet_place_library target)
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "")
    get_filename_component(folder "${onednn_file}" DIRECTORY)
    if(bundle_onednn)
        set_target_properties(${target} PROPERTIES INSTALL_RPATH "$ORIGIN/hmtnet")
        add_custom_command(TARGET ${target} POST_BUILD
            COMMAND ${CMAKE_COMMAND} -E make_directory $<TARGET_FILE_DIR:${target}>/hmtnet
            COMMAND ${CMAKE_COMMAND} -E create_symlink "${onednn_file}" $<TARGET_FILE_DIR:${target}>/hmtnet/${onednn_soname})
    endif()
endfunction()

# The RUNPATH of an installed program.
function(hmtnet_place_program target)
    if(bin_to_lib STREQUAL "")
        set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "${CMAKE_INSTALL_FULL_LIBDIR}")
        return()
    endif()
    set_target_properties(${target} PROPERTIES BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
    get_filename_component(place "${CMAKE_CURRENT_BINARY_DIR}/${bin_to_lib}" ABSOLUTE)
    if(NOT EXISTS "${place}")
        get_filename_component(folder "${place}" DIRECTORY)
        file(MAKE_DIRECTORY "${folder}")
        file(CREATE_LINK "${PROJECT_BINARY_DIR}" "${place}" SYMBOLIC)
    endif()
endfunction()
