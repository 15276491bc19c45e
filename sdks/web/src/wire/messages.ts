/**
 * The types of the messages, derived from the generated declarations of `proto/` without their code: `Plain` is a message
 * as it is read (with every field), `Init` as it is written (omitted fields have their defaults).
 */
import type { ActiveSpeakers as GenActiveSpeakers, RoomEvent as GenRoomEvent } from "@nexus-rtc/proto/events/v1/room";
import type * as qoe from "@nexus-rtc/proto/qoe/v1/telemetry";
import type * as session from "@nexus-rtc/proto/signaling/v1/session";
import type { Error as GenError } from "@nexus-rtc/proto/types/v1/error";
import type * as media from "@nexus-rtc/proto/types/v1/media";

type Leaf = string | bigint | boolean | undefined;
type Hidden = "$typeName" | "$unknown";

// The enums belong to generated code that is not loaded, so their values are numbers here.
type Plain<T> = T extends number
  ? number
  : T extends Leaf
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : { readonly [Key in keyof T as Key extends Hidden ? never : Key]: Plain<T[Key]> };

type Init<T> = T extends number
  ? number
  : T extends Leaf
  ? T
  : T extends readonly (infer Item)[]
    ? readonly Init<Item>[]
    : T extends { case: infer Case; value: infer Value }
      ? { readonly case: Case; readonly value: Init<Value> }
      : { readonly [Key in keyof T as Key extends Hidden ? never : Key]?: Init<T[Key]> };

export type ClientMessage = Init<session.ClientMessage>;
export type ServerMessage = Plain<session.ServerMessage>;
export type JoinResponse = Plain<session.JoinResponse>;
export type OfferResponse = Plain<session.OfferResponse>;
export type RoomSnapshot = Plain<session.RoomSnapshot>;
export type RoomEvent = Plain<GenRoomEvent>;
export type WireActiveSpeakers = Plain<GenActiveSpeakers>;
export type WireError = Plain<GenError>;
export type WireTrack = Plain<media.Track>;
export type WireParticipant = Plain<media.Participant>;
export type WireRoom = Plain<media.Room>;
export type WireSlotTable = Plain<media.SlotTable>;
export type WireLayerDemand = Plain<media.LayerDemand>;
export type WireGrants = Plain<media.Grants>;
export type WirePublication = Init<media.Publication>;
export type WireTelemetry = Init<qoe.Telemetry>;
export type WireSample = Init<qoe.TelemetrySample>;
export type WireSeries = Init<qoe.TrackSeries>;
export type WireEncodingSeries = Init<qoe.EncodingSeries>;
export type WirePathSample = Init<qoe.PathSample>;
export type WireTelemetryEvent = NonNullable<Init<qoe.TelemetryEvent>["event"]>;
export type TelemetryReport = Init<session.TelemetryReport>;
export type IceServer = Plain<media.IceServer>;
