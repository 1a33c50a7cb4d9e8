"""Files of amplifiers, written as their makers describe them; they need no library."""

import json
import struct

import numpy as np

N = 2048
STORED = np.random.default_rng(21).integers(-3000, 3000, size=(N, 3)).astype("i2")
WIDE = np.random.default_rng(9).integers(-3000, 3000, size=(1200, 4)).astype("i2")
T0 = 1_500_000_000.25
RATE = 25e6 / 2**12 / 6  # 1017.25 Hz


def qstring(text):
    raw = text.encode("utf-16-le")
    return struct.pack("<I", len(raw)) + raw


def intan_channel(name, kind, order, stim):
    places = (order, order, kind, 1, order, *((0,) if stim else ()), 0)
    trigger, impedance = (0, 0, 0, 0), (1e5, -30.0)
    return (
        qstring(name)
        + qstring(name)
        + struct.pack(f"<{len(places)}h", *places)
        + struct.pack("<4h2f", *trigger, *impedance)
    )


def intan_groups(channels, stim):
    made = struct.pack("<h", 1) + qstring("Port A") + qstring("A")
    made += struct.pack("<3h", 1, len(channels), len(channels))
    return made + b"".join(intan_channel(*one, k, stim) for k, one in enumerate(channels))


def rhd(path, rate):
    """RHD2000 data file, version 2.0: blocks of 128 samples, an auxiliary input at a quarter of the rate."""
    head = struct.pack("<Ihhfh6fhff", 0xC6912702, 2, 0, rate, 1, 1, 1, 7500, 1, 1, 7500, 0, 1000, 1000)
    head += qstring("") * 3 + struct.pack("<hh", 0, 0) + qstring("n/a")
    channels = [(f"A-00{k}", 0) for k in range(3)] + [("AUX1", 1), ("ADC1", 3)]
    head += intan_groups(channels, stim=False)
    shifted = (STORED.astype("i4") + 32768).astype("<u2")
    aux, adc = np.arange(N // 4, dtype="<u2"), np.arange(N, dtype="<u2")
    with path.open("wb") as file:
        file.write(head)
        for first in range(0, N, 128):
            file.write(np.arange(first, first + 128, dtype="<i4").tobytes())
            file.write(shifted[first : first + 128].T.tobytes())
            file.write(aux[first // 4 : first // 4 + 32].tobytes() + adc[first : first + 128].tobytes())
    return aux * 37.4e-6, adc * 50.354e-6


def tdt(folder, tev=False):
    """A block: index, description, and the signals as one file for each channel or all in one."""
    folder.mkdir(parents=True)
    stem = folder / f"{folder.parent.name}_{folder.name}"
    records = [(0, 0, b"", 0, 0, 0.0, 0.0, 0, 0.0), (10, 0x8801, b"\x01", 0, 0, T0, 0.0, 0, 0.0)]
    values = STORED.astype("<f4") / 7
    data = b""
    for first in range(0, N, 256):
        for k in range(3):
            row = (266, 0x8101, b"LFP1", k + 1, 0, T0 + first / RATE, 0.0, 0, RATE)
            place = np.array(len(data) if tev else 40 + 4 * first, "<i8").view("<f8")
            records.append((*row[:6], place, *row[7:]))
            data += values[first : first + 256, k].tobytes()
    marks = [(100, b"Mark", 0x101, 3), (200, b"PDio", 0x101, 1), (260, b"PDio", 0x102, 1),
             (400, b"Mark", 0x101, 9), (700, b"Mark", 0x101, 3), (900, b"Mark", 0x101, 3),
             (1400, b"Mark", 0x101, 9), (1800, b"Mark", 0x101, 3)]  # fmt: skip
    records += [(10, kind, name, 0, 0, T0 + at / RATE, code, 0, 0.0) for at, name, kind, code in marks]
    records.append((10, 0x8801, b"\x02", 0, 0, T0 + N / RATE, 0.0, 0, 0.0))
    kinds = "<i4,<i4,S4,<u2,<u2,<f8,<f8,<i4,<f4"
    stem.with_suffix(".tsq").write_bytes(np.array(records, kinds).tobytes())
    if tev:
        stem.with_suffix(".tev").write_bytes(data)
    for k in range(3):
        if not tev:
            name = stem.with_name(f"{stem.name}_LFP1_ch{k + 1}.sev")
            head = struct.pack(
                "<Q3sB4s4H2BH12x", 40 + 4 * N, b"SEV", 3, b"LFP1", k + 1, 3, 4, 0, 0, 6, 12 - 12
            )
            name.write_bytes(head + values[:, k].tobytes())
    fields = [("StoreName", "LFP1"), ("HeadName", "x"), ("Enabled", 1), ("CircType", 1), ("NumChan", 3),
              ("StrobeMode", 0), ("TankEvType", 0x8101), ("NumPoints", 256), ("DataFormat", 0),
              ("SampleFreq", RATE)]  # fmt: skip
    text = "".join(f"NAME={name};TYPE=S;VALUE={value};\r\n" for name, value in fields)
    stem.with_suffix(".Tbk").write_text(f"{text}[USERNOTEDELIMITER]")
    for suffix in (".Tdx", *(() if tev else (".tev",))):
        stem.with_suffix(suffix).write_bytes(b"\0")
    return folder, values


def spikeglx(folder):
    name = folder / "run_g0_t0.imec0.ap"
    name.with_name(name.name + ".bin").write_bytes(WIDE.tobytes())
    meta = {
        "acqApLfSy": "3,0,1",
        "appVersion": "20190327",
        "fileName": "D:/run_g0_t0.imec0.ap.bin",
        "fileSizeBytes": WIDE.nbytes,
        "fileTimeSecs": 0.04,
        "imAiRangeMax": 0.6,
        "imAiRangeMin": -0.6,
        "imDatPrb_type": 0,
        "imSampRate": 30000,
        "nSavedChans": 4,
        "snsApLfSy": "3,0,1",
        "snsSaveChanSubset": "0:2,768",
        "typeThis": "imec",
        "imDatPrb_pn": "NP1010",
        "~imroTbl": "(0,384)(0 0 0 500 250 1)(1 0 0 500 250 1)(2 0 0 500 250 1)",
        "~snsChanMap": "(384,384,1)(AP0;0:0)(AP1;1:1)(AP2;2:2)(SY0;768:3)",
    }
    lines = [f"{key}={value}" for key, value in meta.items()]
    name.with_name(name.name + ".meta").write_text("\n".join(lines) + "\n")
    return name.with_name(name.name + ".bin"), WIDE[:, :3], 30_000, 1.2 / 1024 / 500 * 1e6


def neuroscope(folder):
    (folder / "x.dat").write_bytes(WIDE.tobytes())
    (folder / "x.xml").write_text(
        "<parameters><acquisitionSystem><nBits>16</nBits><nChannels>4</nChannels>"
        "<samplingRate>20000</samplingRate><voltageRange>20</voltageRange><amplification>1000</amplification>"
        "<offset>0</offset></acquisitionSystem><fieldPotentials><lfpSamplingRate>1250</lfpSamplingRate>"
        "</fieldPotentials><anatomicalDescription><channelGroups><group><channel>0</channel>"
        "<channel>1</channel><channel>2</channel><channel>3</channel></group></channelGroups>"
        "</anatomicalDescription></parameters>"
    )
    return folder / "x.dat", WIDE, 20_000, 20 / 2**16 / 1000 * 1e3


def openephys(folder):
    base = folder / "Record Node 101" / "experiment1" / "recording1"
    inner = base / "continuous" / "Rhythm-100.0"
    inner.mkdir(parents=True)
    (inner / "continuous.dat").write_bytes(WIDE.tobytes())
    np.save(inner / "timestamps.npy", np.arange(1200))
    np.save(inner / "sample_numbers.npy", np.arange(1200))
    channels = [
        {"channel_name": f"CH{k}", "bit_volts": 0.195, "units": "uV", "description": "", "identifier": ""}
        for k in range(4)
    ]
    oebin = {
        "GUI version": "0.5.0",
        "continuous": [
            {
                "folder_name": "Rhythm-100.0/",
                "sample_rate": 30000,
                "source_processor_name": "Rhythm",
                "source_processor_id": 100,
                "source_processor_sub_idx": 0,
                "recorded_processor": "Record Node",
                "recorded_processor_id": 101,
                "num_channels": 4,
                "channels": channels,
            }
        ],
        "events": [],
        "spikes": [],
    }
    (base / "structure.oebin").write_text(json.dumps(oebin))
    return folder, WIDE, 30_000, 0.195
