# What is installed, in three components: runtime (the library, oneDNN, modules), dev (headers, the archive, hmtnet.pc, the
# CMake package), tools (programs, man pages). The tree can be moved: nothing in it names this machine.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hmtnet)
set(private_dir ${CMAKE_INSTALL_LIBDIR}/hmtnet)

install(TARGETS hmtnet EXPORT hmtnetTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT dev)
if(bundle_onednn)
    install(FILES "${onednn_file}" DESTINATION ${private_dir} RENAME ${onednn_soname} COMPONENT runtime
            PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
    get_filename_component(onednn_texts "${ONEDNN_INCLUDE_DIR}/../share/doc/onednn" ABSOLUTE)
    install(FILES ${onednn_texts}/LICENSE ${onednn_texts}/THIRD-PARTY-PROGRAMS OPTIONAL
            DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/hmtnet/onednn COMPONENT runtime)
endif()

install(FILES include/hmtnet/hmtnet.h include/hmtnet/backend.h include/hmtnet/data.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hmtnet COMPONENT dev)
install(TARGETS hmtnet_static EXPORT hmtnetStaticTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
foreach(export hmtnetTargets hmtnetStaticTargets)
    install(EXPORT ${export} NAMESPACE hmtnet:: DESTINATION ${package_dir} COMPONENT dev)
endforeach()
configure_package_config_file(cmake/hmtnetConfig.cmake.in hmtnetConfig.cmake INSTALL_DESTINATION ${package_dir}
                              PATH_VARS private_dir)
write_basic_package_version_file(hmtnetConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hmtnetConfig.cmake ${PROJECT_BINARY_DIR}/hmtnetConfigVersion.cmake
        DESTINATION ${package_dir} COMPONENT dev)

file(RELATIVE_PATH pc_to_prefix /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
set(pc_libraries -l:${onednn_soname})
if(bundle_onednn)
    list(PREPEND pc_libraries "-L\${libdir}/hmtnet" "-Wl,-rpath,\${libdir}/hmtnet")
endif()
list(JOIN pc_libraries " " pc_libraries)
configure_file(pkgconfig/hmtnet.pc.in hmtnet.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/hmtnet.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

file(GLOB man_pages CONFIGURE_DEPENDS docs/man/*.1)
install(FILES ${man_pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
