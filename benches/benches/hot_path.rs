//! The steps that every point takes, one by one: parse, push, decode.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use silverback_formats::carbon::plain;
use silverback_formats::gorilla::{Encoder, decode_into};
use std::hint::black_box;

/// Values of one stream.
const VALUES: u32 = 120;

fn values() -> impl Iterator<Item = f64> {
    (0..VALUES).map(|at| f64::from(at * 37 % 1000) / 100.0)
}

fn encoder() -> Encoder {
    let mut encoder = Encoder::new();
    values().for_each(|value| encoder.push(value));
    encoder
}

fn parse(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("parse");
    group.throughput(Throughput::Elements(1));
    for (name, line) in [
        ("integer", "prod.eu-west-1.frontend.frontend00000.cpu-0.cpu-idle 4242 1700000000"),
        ("decimal", "prod.eu-west-1.frontend.frontend00000.cpu-0.cpu-idle 97.25 1700000000"),
        ("full", "prod.eu-west-1.frontend.frontend00000.load 0.30000000000000004 1700000000"),
    ] {
        group.bench_function(name, |bench| bench.iter(|| plain::parse(black_box(line.as_bytes()))));
    }
}

fn gorilla(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("gorilla");
    group.throughput(Throughput::Elements(VALUES.into()));
    group.bench_function("push", |bench| bench.iter(encoder));
    let mut payload = Vec::new();
    encoder().payload_into(&mut payload);
    group.bench_function("decode", |bench| {
        bench.iter_batched_ref(
            || Vec::with_capacity(VALUES as usize),
            |out| decode_into(black_box(&payload), VALUES, out),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(hot_path, parse, gorilla);
criterion_main!(hot_path);
