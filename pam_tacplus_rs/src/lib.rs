//! `pam_tacplus.so`.
