//! Encode, decode and obfuscate, for each body small and large. The pad is held
//! against its floor: as many bare MD5 compressions.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench fails by panicking"
)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tacacs_common::obfuscate::obfuscate;
use tacacs_common::packet::{
    AcctReply, AcctRequest, AcctStatus, Action, ArgumentsBuf, AuthenContinue, AuthenMethod,
    AuthenReply, AuthenService, AuthenStart, AuthenStatus, AuthenType, AuthorReply, AuthorRequest,
    AuthorStatus, Body, Header, PrivLvl,
};

const SECRET: &[u8] = b"Kat-Secret-0123456789-abcdefghij";

fn body<'b>(criterion: &mut Criterion, name: &str, value: &(impl Body<'b> + 'b)) {
    let mut encoded = Vec::new();
    value.encode(&mut encoded).unwrap();
    let id = |what| BenchmarkId::new(what, format!("{name}/{}", encoded.len()));
    let mut group = criterion.benchmark_group("body");
    let mut out = Vec::with_capacity(encoded.len());
    group.bench_function(id("encode"), |bencher| {
        bencher.iter(|| {
            out.clear();
            black_box(value).encode(&mut out).unwrap();
        });
    });
    group.finish();
}

/// Decoding, apart from encoding because the two bodies live differently long.
macro_rules! decode {
    ($criterion:expr, $name:literal, $kind:ty, $value:expr) => {{
        let value = $value;
        body($criterion, $name, &value);
        let mut encoded = Vec::new();
        value.encode(&mut encoded).unwrap();
        let id = BenchmarkId::new("decode", format!("{}/{}", $name, encoded.len()));
        $criterion
            .benchmark_group("body")
            .bench_function(id, |bencher| {
                bencher.iter(|| black_box(<$kind>::decode(black_box(&encoded))).is_ok());
            });
    }};
}

fn arguments(count: usize, len: usize) -> ArgumentsBuf {
    let mut args = ArgumentsBuf::new();
    args.mandatory("service", b"shell").unwrap();
    for _ in 0..count {
        args.mandatory("cmd-arg", &vec![b'x'; len]).unwrap();
    }
    args
}

fn bodies(criterion: &mut Criterion) {
    for (text, data, args) in [
        (10, 10, arguments(3, 8)),
        (255, 64_000, arguments(250, 240)),
    ] {
        let (text, data) = (vec![b'a'; text], vec![b'd'; data]);
        let about = AuthorRequest {
            authen_method: AuthenMethod::TacacsPlus,
            priv_lvl: PrivLvl::USER,
            authen_type: AuthenType::Ascii,
            authen_service: AuthenService::Login,
            user: &text,
            port: &text,
            rem_addr: &text,
            args: args.as_arguments(),
        };
        let short = &data[..data.len().min(255)];
        decode!(
            criterion,
            "authen-start",
            AuthenStart<'_>,
            AuthenStart {
                action: Action::Login,
                priv_lvl: PrivLvl::USER,
                authen_type: AuthenType::Pap,
                authen_service: AuthenService::Login,
                user: &text,
                port: &text,
                rem_addr: &text,
                data: short,
            }
        );
        decode!(
            criterion,
            "authen-reply",
            AuthenReply<'_>,
            AuthenReply {
                status: AuthenStatus::GetPass,
                no_echo: true,
                server_msg: b"Password: ",
                data: &data,
            }
        );
        decode!(
            criterion,
            "authen-continue",
            AuthenContinue<'_>,
            AuthenContinue {
                user_msg: &data,
                data: b"",
                abort: false,
            }
        );
        decode!(criterion, "author-request", AuthorRequest<'_>, about);
        decode!(
            criterion,
            "author-reply",
            AuthorReply<'_>,
            AuthorReply {
                status: AuthorStatus::PassAdd,
                server_msg: b"",
                data: b"",
                args: args.as_arguments(),
            }
        );
        decode!(
            criterion,
            "acct-request",
            AcctRequest<'_>,
            AcctRequest { flags: 2, about }
        );
        decode!(
            criterion,
            "acct-reply",
            AcctReply<'_>,
            AcctReply {
                status: AcctStatus::Success,
                server_msg: b"",
                data: &data,
            }
        );
    }
}

fn pad(criterion: &mut Criterion) {
    let header = Header::decode(&[0xC0, 1, 1, 0, 1, 2, 3, 4, 0, 0, 0, 0]).unwrap();
    let mut group = criterion.benchmark_group("pad");
    for len in [48usize, 65_536] {
        group.throughput(Throughput::Bytes(len as u64));
        let mut bytes = vec![0u8; len];
        group.bench_function(BenchmarkId::new("obfuscate", len), |bencher| {
            bencher.iter(|| obfuscate(black_box(SECRET), &header, &mut bytes));
        });
        group.bench_function(BenchmarkId::new("md5-compressions", len), |bencher| {
            let block = [0x55u8; 64];
            bencher.iter(|| {
                let mut state = [1u32, 2, 3, 4];
                for _ in 0..len.div_ceil(16) {
                    md5::block_api::compress(&mut state, black_box(&[block]));
                }
                state
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bodies, pad);
criterion_main!(benches);
