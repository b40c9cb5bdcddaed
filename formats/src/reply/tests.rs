//! Bytes recorded from live nodes and clients.

use super::protobuf_v3::{
    CapabilityResponse, FetchRequest, FetchResponse, GlobMatch, GlobResponse, MetricsInfoResponse,
    MultiFetchRequest, MultiFetchResponse, MultiGlobRequest, MultiGlobResponse,
    MultiMetricsInfoResponse, Retention,
};
use super::{Message, absent_as_nan, msgpack, pickle, protobuf_v2};
use std::fmt::Debug;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let pair = |p: &[u8]| u8::from_str_radix(std::str::from_utf8(p).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

/// The message has exactly these bytes, they mean it, and no cut of them is a panic.
#[track_caller]
fn check<M: Message + Default + Debug>(message: &M, wire: &str) {
    let wire = hex(wire);
    assert_eq!(message.encode_to_vec(), wire);
    let again = M::decode(&wire[..]).unwrap();
    assert_eq!(format!("{again:?}"), format!("{message:?}"));
    for end in 0..wire.len() {
        let _ = M::decode(&wire[..end]);
    }
}

fn glob_response() -> GlobResponse {
    let found = [("app.orders", true), ("app.orders", false), ("app.gappy", true)];
    let matches = found.map(|(path, is_leaf)| GlobMatch { path: path.into(), is_leaf }).to_vec();
    GlobResponse { name: b"app.*".to_vec(), matches }
}

const GLOB: &str = "0a056170702e2a 120e 0a0a6170702e6f7264657273 1001 120c 0a0a6170702e6f7264657273
    120d 0a096170702e6761707079 1001";

#[test]
fn find() {
    let request = MultiGlobRequest {
        metrics: vec![b"app.*".to_vec()],
        start_time: 1_795_399_534,
        stop_time: 1_795_403_134,
    };
    check(&request, "0a056170702e2a 10eebe8ed806 18feda8ed806");
    check(&glob_response(), GLOB);
    check(&MultiGlobResponse { metrics: vec![glob_response()] }, &format!("0a34 {GLOB}"));
}

#[test]
fn render() {
    let request = MultiFetchRequest {
        metrics: vec![FetchRequest {
            name: b"app.{orders,gappy}".to_vec(),
            start_time: 1_795_402_954,
            stop_time: 1_795_403_134,
            path_expression: b"app.{orders,gappy}".to_vec(),
            max_data_points: 100,
            ..FetchRequest::default()
        }],
    };
    let name = "0a12 6170702e7b6f72646572732c67617070797d";
    let expression = name.replacen("0a", "2a", 1);
    check(&request, &format!("0a36 {name} 10cad98ed806 18feda8ed806 {expression} 3864"));

    let answer = FetchResponse {
        name: b"app.gappy".to_vec(),
        path_expression: b"app.g*".to_vec(),
        consolidation_func: "Average".into(),
        start_time: 1_795_402_680,
        stop_time: 1_795_402_860,
        step_time: 60,
        x_files_factor: 0.5,
        values: absent_as_nan(vec![f64::NAN, 0.0, -f64::NAN]),
        request_start_time: 1_795_402_671,
        request_stop_time: 1_795_402_851,
        ..FetchResponse::default()
    };
    check(
        &MultiFetchResponse { metrics: vec![answer] },
        "0a55 0a096170702e6761707079 1206 6170702e672a 1a07 41766572616765 20b8d78ed806
         28ecd88ed806 303c 3d0000003f 4a18 010000000000f87f 0000000000000000 010000000000f87f
         58afd78ed806 60e3d88ed806",
    );
    let answer = protobuf_v2::FetchResponse {
        name: b"app.gappy".to_vec(),
        start_time: 1_795_402_680,
        stop_time: 1_795_402_860,
        step_time: 60,
        values: vec![0.0; 3],
        is_absent: vec![true, false, true],
    };
    check(
        &protobuf_v2::MultiFetchResponse { metrics: vec![answer] },
        &format!(
            "0a38 0a096170702e6761707079 10b8d78ed806 18ecd88ed806 203c 2a18 {} 3203 010001",
            "00".repeat(24)
        ),
    );
}

#[test]
fn info() {
    let retention =
        |seconds_per_point, number_of_points| Retention { seconds_per_point, number_of_points };
    let mut info = MetricsInfoResponse {
        name: b"app.orders".to_vec(),
        consolidation_func: "Average".into(),
        max_retention: 86_400,
        x_files_factor: 0.5,
        retentions: vec![retention(60, 1440)],
    };
    check(
        &MultiMetricsInfoResponse { metrics: vec![info.clone()] },
        "0a25 0a0a6170702e6f7264657273 1207 41766572616765 1880a305 250000003f 2a05083c10a00b",
    );
    info.name = b"t10.a.b.c".to_vec();
    info.max_retention = 172_800;
    info.retentions = vec![retention(10, 60), retention(60, 120), retention(600, 288)];
    check(
        &info,
        "0a097431302e612e622e63 1207 41766572616765 1880c60a 250000003f 2a04080a103c 2a04083c1078
         2a0608d80410a002",
    );
}

#[test]
fn capabilities() {
    let answer = CapabilityResponse {
        supported_protocols: vec!["carbonapi_v3_pb".into()],
        name: "h".into(),
        like_splitted_requests: true,
        ..CapabilityResponse::default()
    };
    check(&answer, "0a0f 636172626f6e6170695f76335f7062 120168 2801");
}

#[test]
fn a_name_that_is_not_utf8_comes_back_as_it_was() {
    let request =
        MultiGlobRequest { metrics: vec![vec![b'a', 0xff]], ..MultiGlobRequest::default() };
    check(&request, "0a02 61ff");
}

#[test]
fn pickles() {
    let mut writer = pickle::Writer::new();
    writer.begin_list();
    writer.begin_dict();
    writer.text("é".as_bytes());
    writer.int(-2);
    writer.text(b"b");
    writer.int(1 << 40);
    writer.end_dict();
    writer.float(1.5);
    writer.bool(true);
    writer.none();
    writer.pair();
    writer.end_list();
    // Read back by Python: [{'é': -2, 'b': 1099511627776}, 1.5, (True, None)].
    assert_eq!(
        writer.finish(),
        hex("8002 5d28 7d28 5802000000c3a9 4afeffffff 580100000062 8a080000000000010000 75
             473ff8000000000000 88 4e 86 65 2e")
    );
}

#[test]
fn message_packs() {
    let mut writer = msgpack::Writer::default();
    writer.array(2);
    writer.map(1);
    writer.text(b"ok");
    writer.bool(false);
    writer.float(1.5);
    assert_eq!(writer.finish(), hex("92 81 a26f6b c2 cb3ff8000000000000"));
    let head = |len: usize| {
        let mut writer = msgpack::Writer::default();
        writer.array(len);
        writer.text(&vec![b'x'; len]);
        writer.finish().into_iter().filter(|&b| b != b'x').collect::<Vec<u8>>()
    };
    assert_eq!(head(15), hex("9f af"));
    assert_eq!(head(16), hex("dc0010 b0"));
    assert_eq!(head(31), hex("dc001f bf"));
    assert_eq!(head(32), hex("dc0020 d920"));
    assert_eq!(head(256), hex("dc0100 da0100"));
    assert_eq!(head(70_000), hex("dd00011170 db00011170"));
}

#[test]
fn whole_numbers_of_message_packs_are_short() {
    let cases = [
        (0, "00"),
        (127, "7f"),
        (128, "cc80"),
        (256, "cd0100"),
        (65_536, "ce00010000"),
        (1 << 32, "cf0000000100000000"),
        (-1, "ff"),
        (-32, "e0"),
        (-33, "d0df"),
        (-129, "d1ff7f"),
        (-32_769, "d2ffff7fff"),
        (i64::MIN, "d38000000000000000"),
    ];
    for (value, wire) in cases {
        let mut writer = msgpack::Writer::default();
        writer.int(value);
        assert_eq!(writer.finish(), hex(wire), "{value}");
    }
    let mut writer = msgpack::Writer::default();
    writer.nil();
    assert_eq!(writer.finish(), hex("c0"));
}
