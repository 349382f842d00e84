{{ config(materialized = 'view') }}

with packed as (

    -- Without the name of the database, which in DuckDB is that of the file and changes with it.
    select * from {{ ref('int_latencies_packed').include(database=false) }}

),

unpacked as (

    select
        operation_date,
        workspace,
        provider,
        model,
        operation_type,
        metric,
        unnest(buckets) as bucket,
        unnest(small_counts) as small_count,
        unnest(large_counts) as large_count
    from packed

),

final as (

    select
        operation_date,
        workspace,
        provider,
        model,
        operation_type,
        metric,

        bucket,
        {{ histogram_value('bucket') }} as bucket_value,
        cast(coalesce(small_count, large_count) as bigint) as operation_count

    from unpacked

)

select * from final
